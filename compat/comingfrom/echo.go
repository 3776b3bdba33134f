package comingfrom

import (
	"crypto/rand"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v5"
)

// Echo is the app on echo.
func Echo() http.Handler {
	e := echo.NewWithConfig(echo.Config{
		Router: echo.NewRouter(echo.RouterConfig{
			NotFoundHandler: echoNotFound,
		}),
	})
	e.Use(echoRequestID)
	greeted := e.Group("/hello", echoGreeting)
	greeted.GET("/:name", echoHello)
	admin := e.Group("/admin", echoAdminOnly)
	admin.GET("/stats", echoStats)
	e.POST("/items", echoCreateItem)
	return e
}

func echoRequestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		c.Response().Header().Set("X-Request-Id", rand.Text())
		return next(c)
	}
}

func echoGreeting(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		c.Set("greeting", "Hello")
		if c.Request().Header.Get("Accept-Language") == "ja" {
			c.Set("greeting", "こんにちは")
		}
		return next(c)
	}
}

func echoAdminOnly(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		if c.Request().Header.Get("X-Admin") == "" {
			return c.String(http.StatusForbidden, "admins only")
		}
		return next(c)
	}
}

func echoHello(c *echo.Context) error {
	return c.String(http.StatusOK, fmt.Sprintf("%s, %s!", c.Get("greeting"), c.Param("name")))
}

func echoCreateItem(c *echo.Context) error {
	var in item
	if err := c.Bind(&in); err != nil || in.Name == "" {
		return c.JSON(http.StatusBadRequest, map[string]string{"error": "that is no item"})
	}
	return c.JSON(http.StatusCreated, in)
}

func echoStats(c *echo.Context) error { return c.String(http.StatusOK, "all is well") }

func echoNotFound(c *echo.Context) error { return c.String(http.StatusNotFound, "nothing is here") }
