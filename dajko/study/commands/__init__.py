"""What people ask for: run, status, retry, reproduce."""
