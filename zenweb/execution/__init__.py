"""What runs inside a step's process. Knows neither Django nor the server's tables."""
