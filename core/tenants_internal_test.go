package idserver

import "testing"

func TestIsTenantID(t *testing.T) {
	t.Parallel()
	if !isTenantID("6f0c2a3e-0000-4000-8000-00000000a11c") {
		t.Error("a tenant's ID is none")
	}
	for _, bad := range []string{
		"", "alice", "contoso.onmicrosoft.com", "6F0C2A3E-0000-4000-8000-00000000A11C", "6f0c2a3e00004000800000000000a11c",
		"{6f0c2a3e-0000-4000-8000-00000000a11c}", "urn:uuid:6f0c2a3e-0000-4000-8000-00000000a11c",
		"6f0c2a3e-0000-4000-8000-00000000a11", "6f0c2a3e-0000-4000-8000-00000000a11cc", "6f0c2a3e-0000-4000-8000-00000000a11g",
		"6f0c2a3e-0000-4000-8000-00000000-11c", "6f0c2a3e00-00-4000-8000-00000000a11c", "6f0c2a3e_0000_4000_8000_00000000a11c",
		"------------------------------------", " f0c2a3e-0000-4000-8000-00000000a11c", "6f0c2a3e-0000-4000-8000-00000000a1é",
	} {
		if isTenantID(bad) {
			t.Errorf("%q is taken for a tenant's ID", bad)
		}
	}
}
