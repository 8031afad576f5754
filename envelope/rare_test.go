package envelope

import (
	"encoding/hex"
	"math/big"
	"testing"

	"github.com/emmansun/gmsm/sm2"
)

// One in about a million products of points came out wrong on processors with ADX and
// BMI2: a key that was wrapped well was not unwrapped. Key and ciphertext are of a
// test run that found it; what is wrapped was worked out by arithmetic of integers.
func TestRareInput(t *testing.T) {
	d, _ := new(big.Int).SetString("1df8894dd1d64328f3a80c2f57653de978008c246d62d45a2e23598eb9b3601f", 16)
	key, err := sm2.NewPrivateKeyFromInt(d)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := hex.DecodeString("3079022100ff784f8a181180bad4ae5b741281edc0f659bdfb529158616fe0319c89b6a1b8" +
		"022029ddd50dbd3b3643352555b8c3c32868b221fa2d695ab55dd2d8235d4f382b91" +
		"0420fe2ffe25aa885be6f03b8e8d6159f7524bdac4ed97f4f1a0225cfa03d0aa59da0410b1a139d453cca293657507192c2e8023")
	if err != nil {
		t.Fatal(err)
	}
	got, err := gm{}.unwrap(key, wrapped)
	if want := "13af07b90cde278a4fdbedf30b653eed"; err != nil || hex.EncodeToString(got) != want {
		t.Errorf("unwrapped %x, %v; want %s", got, err, want)
	}
}
