"""Clusters that tests share."""

from dajko.study.config.cluster import Certificates, SchedulerAddress


def scheduler_of(client):
    """The scheduler of a client, for further studies on the same cluster."""
    safe = client.security
    tls = Certificates(ca=safe.tls_ca_file, cert=safe.tls_client_cert, key=safe.tls_client_key)
    return SchedulerAddress(kind="scheduler", address=client.scheduler.address, tls=tls)
