"""Describe images with a trained model: features, classes, clusters, similarity, anomalies."""
