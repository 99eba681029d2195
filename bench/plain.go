package bench

import (
	"crypto/aes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/go-playground/validator/v10"

	"github.com/ottpaykit/ottpay/envelope"
)

// This file is what an integrator writes in an afternoon: encoding/json into a
// map, sorted keys, a struct with tags. It is neither strict nor complete. It
// is a row of every comparison.

type plainEnvelope struct {
	Code       string `json:"rsp_code"`
	MerchantID string `json:"merchant_id"`
	Data       string `json:"data"`
	MD5        string `json:"md5"`
}

// plainNotification has the members and the rules of api.Notification.
type plainNotification struct {
	OrderID        string `json:"order_id" validate:"required,max=128"`
	BizpayOrderID  string `json:"bizpay_order_id" validate:"required,max=128"`
	Amount         string `json:"amount" validate:"required,number,max=15"`
	FinishTime     string `json:"finish_time" validate:"required,max=64"`
	MerchantID     string `json:"merchant_id" validate:"omitempty,max=64"`
	Tip            string `json:"tip" validate:"omitempty,number,max=15"`
	ConvenienceFee string `json:"convenience_fee" validate:"omitempty,number,max=15"`
	SaleNum        string `json:"sale_num" validate:"omitempty,max=128"`
	PrepayOrderID  string `json:"prepay_order_id" validate:"omitempty,max=128"`
	OrderStatus    string `json:"order_status" validate:"omitempty,max=64"`
	Reference      string `json:"reference" validate:"omitempty,max=128"`
	ExchangeRate   string `json:"exchange_rate" validate:"omitempty,max=64"`
	SubOpenID      string `json:"sub_openId"`
	Remarks        string `json:"remarks"`
}

// now is the time that peers sign with: their signatures hold one.
func now() time.Time { return time.Now() }

func newValidator() *validator.Validate {
	return validator.New(validator.WithRequiredStructEnabled())
}

func plainReceive(v *validator.Validate, signKey string, body []byte) (*plainNotification, error) {
	var e plainEnvelope
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, err
	}
	payload, err := plainOpen(signKey, envelope.Sealed{Data: e.Data, MD5: e.MD5})
	if err != nil {
		return nil, err
	}
	var n plainNotification
	if err := json.Unmarshal(payload, &n); err != nil {
		return nil, err
	}
	return &n, v.Struct(&n)
}

// plainDecrypt decrypts and verifies nothing.
func plainDecrypt(signKey string, s envelope.Sealed) ([]byte, error) {
	key := md5.Sum([]byte(s.MD5 + signKey))
	block, err := aes.NewCipher([]byte(strings.ToUpper(hex.EncodeToString(key[:]))[8:24]))
	if err != nil {
		return nil, err
	}
	b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(s.Data, " ", ""))
	if err != nil || len(b) == 0 || len(b)%aes.BlockSize != 0 {
		return nil, errors.New("bad data")
	}
	for i := 0; i < len(b); i += aes.BlockSize {
		block.Decrypt(b[i:], b[i:])
	}
	n := int(b[len(b)-1])
	if n == 0 || n > aes.BlockSize {
		return nil, errors.New("bad padding")
	}
	return b[:len(b)-n], nil
}

func plainOpen(signKey string, s envelope.Sealed) ([]byte, error) {
	b, err := plainDecrypt(signKey, s)
	if err != nil {
		return nil, err
	}
	m := map[string]any{}
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	var text strings.Builder
	for _, name := range names {
		if f, ok := m[name].(float64); ok {
			text.WriteString(plainDouble(f))
			continue
		}
		fmt.Fprint(&text, m[name])
	}
	sum := md5.Sum([]byte(text.String()))
	if !strings.EqualFold(hex.EncodeToString(sum[:]), s.MD5) {
		return nil, errors.New("bad digest")
	}
	return b, nil
}

func plainDouble(f float64) string {
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
