"""Two customers become one, and two again: what each package's rows do then, the record, and the way back."""
