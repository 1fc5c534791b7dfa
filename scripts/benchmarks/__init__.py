"""What Labelloop must reach, measured on a whole one: real Label Studio, Redis, server and worker."""
