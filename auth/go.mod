module github.com/guregu/kami/auth

go 1.26

require (
	github.com/golang-jwt/jwt/v5 v5.3.1
	github.com/guregu/kami v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/zenazn/goji v1.0.1 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace github.com/guregu/kami => ../
