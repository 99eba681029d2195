package main

import (
	"embed"
	"encoding/json"
	"net/http"
	"strings"
)

//go:embed preview miniprogram
var files embed.FS

// preview plays the mini-program in a browser. WeChat's payment window is a page
// of the sandbox.
func preview(sandbox string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /config.json", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(rw).Encode(map[string]string{"sandbox": sandbox})
	})
	mux.Handle("GET /miniprogram/", http.FileServerFS(files))
	mux.HandleFunc("GET /", func(rw http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		if name == "" {
			name = "index.html"
		}
		rw.Header().Set("Cache-Control", "no-store")
		http.ServeFileFS(rw, r, files, "preview/"+name)
	})
	return mux
}
