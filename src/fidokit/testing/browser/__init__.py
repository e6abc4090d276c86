"""Virtual tokens in browsers that Playwright or Selenium drives."""
