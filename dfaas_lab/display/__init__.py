"""How results are shown: HTML, text and MIME bundles. Pure."""
