"""HTML pages of results, for `-o page.html`; imported when a page is written."""
