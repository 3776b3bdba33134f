package comingfrom

import (
	"crypto/rand"
	"net/http"

	"github.com/gin-gonic/gin"
)

// Gin is the app on gin.
func Gin() http.Handler {
	r := gin.New()
	r.Use(ginRequestID)
	r.NoRoute(ginNotFound)

	greeted := r.Group("/hello", ginGreeting)
	greeted.GET("/:name", ginHello)
	admin := r.Group("/admin", ginAdminOnly)
	admin.GET("/stats", ginStats)
	r.POST("/items", ginCreateItem)
	return r
}

func ginRequestID(c *gin.Context) { c.Header("X-Request-Id", rand.Text()) }

func ginGreeting(c *gin.Context) {
	c.Set("greeting", "Hello")
	if c.GetHeader("Accept-Language") == "ja" {
		c.Set("greeting", "こんにちは")
	}
}

func ginAdminOnly(c *gin.Context) {
	if c.GetHeader("X-Admin") == "" {
		c.String(http.StatusForbidden, "admins only")
		c.Abort()
	}
}

func ginHello(c *gin.Context) {
	c.String(http.StatusOK, "%s, %s!", c.GetString("greeting"), c.Param("name"))
}

func ginCreateItem(c *gin.Context) {
	var in item
	if err := c.ShouldBindJSON(&in); err != nil || in.Name == "" {
		c.JSON(http.StatusBadRequest, gin.H{"error": "that is no item"})
		return
	}
	c.JSON(http.StatusCreated, in)
}

func ginStats(c *gin.Context) { c.String(http.StatusOK, "all is well") }

func ginNotFound(c *gin.Context) { c.String(http.StatusNotFound, "nothing is here") }
