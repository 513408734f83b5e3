"""What stands between the compiled engine and the asyncio loop."""
