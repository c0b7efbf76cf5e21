package amqp

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// Append writes v behind dst. It always uses the widest form of a type, which every
// peer must read, because the few bytes saved by the short forms are not worth a
// second set of rules; descriptors are the exception, see below.
func Append(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case Performative:
		f := fields{writing: true}
		code := v.layout(&f)
		// Trailing nulls are left out: peers reject lists longer than they know.
		for len(f.values) > 0 && f.values[len(f.values)-1] == nil {
			f.values = f.values[:len(f.values)-1]
		}
		return Append(dst, Described{code, f.values})
	case Described:
		dst = append(dst, codeDescribed)
		var err error
		// go-amqp, the client of the Azure SDK, only knows performatives by
		// descriptors in the short form.
		if code, ok := v.Descriptor.(uint64); ok && code <= math.MaxUint8 {
			dst = append(dst, codeSmallUlong, byte(code))
		} else if dst, err = Append(dst, v.Descriptor); err != nil {
			return nil, err
		}
		return Append(dst, v.Value)
	}
	code, err := constructor(v)
	if err != nil {
		return nil, err
	}
	return appendBody(append(dst, code), v)
}

// constructor returns the constructor of the widest form of v's type.
func constructor(v any) (byte, error) {
	switch v.(type) {
	case nil:
		return codeNull, nil
	case bool:
		return codeBool, nil
	case uint8:
		return codeUbyte, nil
	case uint16:
		return codeUshort, nil
	case uint32:
		return codeUint, nil
	case uint64:
		return codeUlong, nil
	case int8:
		return codeByte, nil
	case int16:
		return codeShort, nil
	case int32:
		return codeInt, nil
	case int64:
		return codeLong, nil
	case float32:
		return codeFloat, nil
	case float64:
		return codeDouble, nil
	case Char:
		return codeChar, nil
	case time.Time:
		return codeTimestamp, nil
	case UUID:
		return codeUUID, nil
	case []byte:
		return codeBinary32, nil
	case string:
		return codeString32, nil
	case Symbol:
		return codeSymbol32, nil
	case []any:
		return codeList32, nil
	case Map:
		return codeMap32, nil
	case Array:
		return codeArray32, nil
	}
	return 0, fmt.Errorf("encoding value: type %T is not supported", v)
}

// appendBody writes v, whose type has a constructor, without it.
func appendBody(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return dst, nil
	case time.Time:
		return appendBody(dst, v.UnixMilli())
	case []byte:
		return append(binary.BigEndian.AppendUint32(dst, uint32(len(v))), v...), nil
	case string:
		return append(binary.BigEndian.AppendUint32(dst, uint32(len(v))), v...), nil
	case Symbol:
		return appendBody(dst, string(v))
	case []any:
		return appendCompound(dst, len(v), func(dst []byte) ([]byte, error) { return appendAll(dst, v...) })
	case Map:
		return appendCompound(dst, 2*len(v), func(dst []byte) (_ []byte, err error) {
			for _, entry := range v {
				if dst, err = appendAll(dst, entry.Key, entry.Value); err != nil {
					return nil, err
				}
			}
			return dst, nil
		})
	case Array:
		return appendCompound(dst, len(v), func(dst []byte) ([]byte, error) { return appendElements(dst, v) })
	}
	return binary.Append(dst, binary.BigEndian, v) // all others have a fixed width
}

// appendCompound writes a size, a count and what content appends, which the size covers.
func appendCompound(dst []byte, count int, content func([]byte) ([]byte, error)) ([]byte, error) {
	start := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(count))
	dst, err := content(dst)
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst, nil
}

func appendAll(dst []byte, values ...any) ([]byte, error) {
	var err error
	for _, value := range values {
		if dst, err = Append(dst, value); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// appendElements writes the one constructor of an array and its elements.
func appendElements(dst []byte, array Array) ([]byte, error) {
	if len(array) == 0 {
		return append(dst, codeNull), nil
	}
	code, err := constructor(array[0])
	if err != nil {
		return nil, err
	}
	dst = append(dst, code)
	for _, element := range array {
		if other, err := constructor(element); err != nil || other != code {
			return nil, fmt.Errorf("encoding array: element of type %T among ones of type %T", element, array[0])
		}
		if dst, err = appendBody(dst, element); err != nil {
			return nil, err
		}
	}
	return dst, nil
}
