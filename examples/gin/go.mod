module github.com/signward/idserver-go/examples/gin

go 1.26.0
