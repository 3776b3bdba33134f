module github.com/guregu/kami/examples

go 1.26

require (
	github.com/goji/httpauth v0.0.0-20160601135302-2da839ab0f4d
	github.com/guregu/kami v0.0.0
	github.com/guregu/kami/auth v0.0.0
	github.com/guregu/kami/peer v0.0.0
	github.com/sony/gobreaker/v2 v2.4.0
	github.com/stretchr/testify v1.12.1
	github.com/zenazn/goji v1.0.1
	golang.org/x/text v0.41.0
	golang.org/x/time v0.15.0
)

require (
	github.com/coder/websocket v1.8.15 // indirect
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace github.com/guregu/kami => ../

replace github.com/guregu/kami/auth => ../auth

replace github.com/guregu/kami/peer => ../peer
