"""The API's resources, one file each: thin, they build a request and name what comes back."""
