package tallykeeper

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
)

var (
	// The text after one of these schemes is for gRPC's resolver alone.
	resolvedAddress = regexp.MustCompile(`^(unix|unix-abstract|passthrough|xds|dns|vsock):|^[a-z][a-z0-9+.-]*://`)
	urlAddress      = regexp.MustCompile(`^(?i)(https?|grpcs?|tcp)://`)
)

const portMax = 65_535

// checkAddress refuses addresses that gRPC would accept and never reach: it connects to port 443 if there is no port.
func checkAddress(address string) error {
	const example = `name host:port, such as "127.0.0.1:50051"`
	if url := urlAddress.FindString(address); url != "" {
		return fmt.Errorf("the address %q is a URL; name host:port without %q", address, url)
	}
	if resolvedAddress.MatchString(address) {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return fmt.Errorf("the address %q has no host or no port; %s", address, example)
	}
	if number, err := strconv.Atoi(port); err != nil || number < 1 || number > portMax {
		return fmt.Errorf("the address %q has the port %q; a port is a number from 1 to %d", address, port, portMax)
	}
	return nil
}
