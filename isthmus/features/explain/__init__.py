"""What each unit of a code sees, what it paints, and how far the maps that say so can be believed."""
