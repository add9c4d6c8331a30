"""Lab files: reads and checks the description of a lab. It connects to nothing.

What is described becomes plain values (:class:`LabFile`); ``Lab.from_file`` makes objects of them.
A file with one generator and two targets, and most of what can be said::

    store: results                        # paths are relative to this file; ~ is your home
                                          # {host} in a path or URL: the address of its host
    functions:                            # of every target that does not list its own
      - name: figlet
        method: POST
        body: Hello DFaaS!                # sent as it is written; or body_file: PATH
        headers: {X-Token: "${TOKEN}"}    # environment variables, in any text but a body
        max_rate: 100
        image: ghcr.io/openfaas/figlet:latest
      - env                               # a GET without a body
    generators:
      - name: generator
        host: 10.0.0.50                   # an address, or an alias of ~/.ssh/config
        user: ubuntu
        key: ~/.ssh/id_ed25519
        become_password_env: SUDO_PASSWORD
        k6_source: release            # copy, release, apt or present; else what fits
        workspace_root: /tmp/dfaas-runs   # there, so absolute
        variables:                    # of playbooks/group_vars/all.yml, without a key here
          k6_release_base: https://mirror.example/k6
    targets:
      - name: mid
        host: 10.0.0.60                   # with SSH keys: {address: ..., user: ...}
        gateway: http://{host}:31112
        prometheus: http://{host}:30411
        auth: {user: admin, password_env: GATEWAY_PASSWORD}
        install_monitoring: true      # Prometheus and node exporter on its host
      - name: heavy
        gateway: http://10.0.0.61:31112
        functions: [env]                  # a name of the list above, or a whole function
        via: true                         # only the generator reaches it
        served_by_header: X-Node          # of answers: who served the request
    limits: {timeout: 5m, lease: 60s}
    thresholds:
      figlet: p(95)<500
    campaign:                             # what lab.campaign() and "dfaas-lab campaign" measure
      functions: [figlet, env]
      rates: {type: linear, min: 0, max: 200, step: 20}   # or exponential, random, custom, a list
      sizes: [1, 2]
      iterations: 3
      duration: 30s
      cooldown: {max_wait: 180s, step: 5s}                # or {fixed: 10s}
      overload: {cpu_fraction: 0.8}
      label: night

TOML and JSON say the same. The existing tools' configuration file is read unchanged.
"""

from dfaas_lab.labfile.reader import parse, read
from dfaas_lab.labfile.values import GeneratorEntry, LabFile, TargetEntry

__all__ = ["GeneratorEntry", "LabFile", "TargetEntry", "parse", "read"]
