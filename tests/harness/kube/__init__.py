"""A Kubernetes API server and cluster to test against: see double.py and cluster.py."""
