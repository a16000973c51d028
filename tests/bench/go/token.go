package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"hash"
	"sync"
)

// signer makes JSON Web Tokens by HS256 (RFC 7515).
type signer struct {
	key    []byte
	head   string    // the first part of every token, and the point behind it
	hashes sync.Pool // each has taken the key already, which is two of the four blocks of a short token
}

func newSigner(key []byte) *signer {
	one := &signer{key: key, head: base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "."}
	one.hashes.New = func() any { return hmac.New(sha256.New, key) }
	return one
}

// signAnew does what a library does that is given a key and claims: it writes both parts, and begins a hash.
func (s *signer) signAnew(given claims) (string, error) {
	head, err := json.Marshal(map[string]any{"alg": "HS256", "typ": "JWT"})
	if err != nil {
		return "", err
	}
	members := map[string]any{"aud": []string{given.Audience}, "exp": given.Expires}
	if given.User != "" {
		members["sub"] = given.User
	}
	body, err := json.Marshal(members)
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(body)
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}

// signPrepared writes what differs between tokens, and uses a hash again.
func (s *signer) signPrepared(given claims) (string, error) {
	body, err := json.Marshal(given)
	if err != nil {
		return "", err
	}
	text := s.head + base64.RawURLEncoding.EncodeToString(body)
	return text + "." + base64.RawURLEncoding.EncodeToString(s.digest([]byte(text))), nil
}

func (s *signer) digest(text []byte) []byte {
	mac := s.hashes.Get().(hash.Hash)
	defer s.hashes.Put(mac)
	mac.Reset()
	mac.Write(text)
	return mac.Sum(nil)
}
