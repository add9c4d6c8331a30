"""How a result looks where it is shown. Pure: frames, texts and charts in; HTML and MIME out."""
