module github.com/guregu/kami/peer

go 1.26

require (
	github.com/coder/websocket v1.8.15
	github.com/guregu/kami v0.0.0
)

require github.com/zenazn/goji v1.0.1 // indirect

replace github.com/guregu/kami => ../
