"""MLflow mirrors the store."""
