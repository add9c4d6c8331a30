"""Making hosts ready with the playbooks, once per session. The only place that runs Ansible."""
