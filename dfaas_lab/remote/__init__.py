"""SSH: connections, processes and workspaces on a host. The only place that knows Fabric."""
