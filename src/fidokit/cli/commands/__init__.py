"""One module for each verb or small group of the command; imported when called."""
