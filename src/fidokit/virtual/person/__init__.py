"""The user of a virtual token: presence policies, gestures, a finger sensor."""
