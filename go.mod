module github.com/guregu/kami

go 1.26

require (
	github.com/dimfeld/httptreemux/v5 v5.5.0
	github.com/stretchr/testify v1.12.1
	github.com/zenazn/goji v1.0.1
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect
