"""What runs a release: TensorFlow, or OpenVINO on its export. TensorFlow is imported by the former only."""
