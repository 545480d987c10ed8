"""Generated from proto/ by build.py proto: do not edit."""
