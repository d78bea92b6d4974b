"""ZenML's own clients, unmodified, against a server of this version: `make zenml-clients`."""
