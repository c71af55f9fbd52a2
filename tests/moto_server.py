"""An EC2 server: moto, which answers one request at a time, because two launches at once can fail in it (they do not in EC2).

python moto_server.py PORT
"""

import sys

if __name__ == "__main__":
    # Here, because tests import this file only for its path.
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    run_simple("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=False)
