"""What is compared, run and logged. A study a file; each reads like the table or figure that it makes."""
