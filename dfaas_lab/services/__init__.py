"""The services of a target: its OpenFaaS gateway and its Prometheus, over HTTP."""
