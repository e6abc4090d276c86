"""Data kept on the token beside credentials: the large-blob array and credBlob."""
