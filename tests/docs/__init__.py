"""What the pages of docs/ show and no other command makes."""
