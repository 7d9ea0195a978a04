"""How a homography between two cameras is found: by a target, or by what both see of scenes."""
