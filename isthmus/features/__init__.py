"""What images are, told by a trained model: features, classes, clusters, likeness, anomalies."""
