// Package chat tests examples/chat with the page in two tabs of Chromium, and the program as a process that is cut off and restarted.
package chat
