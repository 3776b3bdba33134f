module github.com/guregu/kami/peer

go 1.26

require (
	github.com/coder/websocket v1.8.15
	github.com/guregu/kami v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/zenazn/goji v1.0.1 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace github.com/guregu/kami => ../
