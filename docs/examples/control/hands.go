// Acts on a virtual token of fidokit, by its control socket. The standard library alone.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
)

// Members of a request or an answer.
type Members map[string]any

// Hands act on one token.
type Hands struct {
	connection net.Conn
	heard      *bufio.Scanner
}

// Reach connects to a control socket; "" is that of the token that `fidokit virtual run` gave us.
func Reach(path string) (*Hands, error) {
	if path == "" {
		path = os.Getenv("FIDOKIT_CONTROL")
	}
	connection, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	hands := &Hands{connection, bufio.NewScanner(connection)}
	greeting, err := hands.answer()
	if err == nil && greeting["fidokit-control"] != 1.0 {
		err = errors.New("another protocol")
	}
	if err != nil {
		connection.Close()
		return nil, err
	}
	return hands, nil
}

// Ask makes one request and returns the members of its answer.
func (h *Hands) Ask(do string, members Members) (Members, error) {
	request := Members{"do": do}
	for name, value := range members {
		request[name] = value
	}
	if err := json.NewEncoder(h.connection).Encode(request); err != nil {
		return nil, err
	}
	answer, err := h.answer()
	if err == nil && answer["ok"] != true {
		err = fmt.Errorf("%v (%v)", answer["error"], answer["hint"])
	}
	return answer, err
}

func (h *Hands) answer() (Members, error) {
	if !h.heard.Scan() {
		return nil, errors.New("the token is not served any more")
	}
	var answer Members
	return answer, json.Unmarshal(h.heard.Bytes(), &answer)
}

// Touch the token: now, if it waits, or the next time that it does.
func (h *Hands) Touch() error {
	_, err := h.Ask("touch", nil)
	return err
}

// WaitForTouch returns "touch", "long-touch", "finger" or "sample"; "" where nothing is asked for.
func (h *Hands) WaitForTouch(seconds int) (string, error) {
	answer, err := h.Ask("wait-for-touch", Members{"seconds": seconds})
	word, _ := answer["waiting"].(string)
	return word, err
}

// Close hangs up; the token goes on.
func (h *Hands) Close() { h.connection.Close() }

// As a program: touches the token once it asks, then pulls it out and plugs it in again.
func main() {
	hands, err := Reach("")
	must(err)
	defer hands.Close()
	word, err := hands.WaitForTouch(30)
	must(err)
	fmt.Println("waits for:", word)
	must(hands.Touch())
	for _, do := range []string{"unplug", "insert"} {
		_, err = hands.Ask(do, nil)
		must(err)
	}
	_, err = hands.Ask("fault", Members{
		"fault": "refuse", "command": "getInfo", "with": Members{"status": 0x7f},
	})
	must(err)
	answer, err := hands.Ask("state", nil)
	must(err)
	fmt.Println("serial:", answer["state"].(map[string]any)["serial"])
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
