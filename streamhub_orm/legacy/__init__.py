"""The rows that older installations keep elsewhere, and how they come into an app.db."""
