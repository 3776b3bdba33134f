package main

import (
	"context"

	"github.com/guregu/kami/component"
)

// Handler is the barebones handler of Pitaya's documentation, unchanged except for comments.
type Handler struct {
	component.Base
}

// UserRequestMessage is what TestRequest is called with.
type UserRequestMessage struct {
	Name    string `json:"name"`
	Content string `json:"content"`
}

// UserResponseMessage is what TestRequest answers.
type UserResponseMessage struct {
}

// UserPushMessage is what TestPush is called with.
type UserPushMessage struct {
	Command string `json:"cmd"`
}

// Init runs on service initialization (not required to be defined)
func (h *Handler) Init() {}

// AfterInit runs after initialization (not required to be defined)
func (h *Handler) AfterInit() {}

// TestRequest can be called by the client by calling <servertype>.testhandler.testrequest
func (h *Handler) TestRequest(ctx context.Context, msg *UserRequestMessage) (*UserResponseMessage, error) {
	return &UserResponseMessage{}, nil
}

// TestPush is a notify handler: it answers nothing.
func (h *Handler) TestPush(ctx context.Context, msg *UserPushMessage) {
}
