//! Headers and forms, as the doors read them. An input is lines `Name: value`, in any bytes, and after
//! an empty one a form. Who is not behind a trusted proxy is who connected, whatever the headers say;
//! what is read of a form is printed and read to the same.

#![no_main]

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use countersign_server::http::{BEARER, Form, authorization, content_type, credential, decode};
use countersign_server::origin::{HopHeader, client_address, origin};
use ipnet::IpNet;
use libfuzzer_sys::fuzz_target;
use url::form_urlencoded;

fn headers(text: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    headers
}

fn addresses(headers: &HeaderMap) {
    let proxies: [IpNet; 2] = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
    let proxy: SocketAddr = "10.1.2.3:4".parse().unwrap();
    let stranger: SocketAddr = "[2001:db8::1]:4".parse().unwrap();
    let mapped: SocketAddr = "[::ffff:10.1.2.3]:4".parse().unwrap();
    for (_, believed) in HopHeader::NAMES {
        assert_eq!(client_address(stranger, headers, &proxies, believed), stranger.ip());
        assert_eq!(client_address(proxy, headers, &[], believed), proxy.ip());
        let found = client_address(proxy, headers, &proxies, believed);
        assert_eq!(found, found.to_canonical());
        assert_eq!(client_address(mapped, headers, &proxies, believed), found);
        let stored = origin(found, headers);
        assert_eq!(stored.address.parse::<IpAddr>().unwrap(), found);
        // A hop that our proxy adds decides, whatever stood there before.
        let mut more = headers.clone();
        more.remove(header::FORWARDED);
        more.append("x-forwarded-for", HeaderValue::from_static("203.0.113.7"));
        if believed != HopHeader::Forwarded {
            assert_eq!(client_address(proxy, &more, &proxies, believed).to_string(), "203.0.113.7");
        }
        let mut more = headers.clone();
        more.remove("x-forwarded-for");
        more.append(header::FORWARDED, HeaderValue::from_static("proto=https;for=\"[2001:db8::7]:99\""));
        if believed != HopHeader::XForwardedFor {
            assert_eq!(client_address(proxy, &more, &proxies, believed).to_string(), "2001:db8::7");
        }
    }
}

fn credentials(headers: &HeaderMap) {
    if let Some(kind) = content_type(headers) {
        assert!(!kind.contains(';') && kind.trim() == kind);
    }
    let count = headers.get_all(header::AUTHORIZATION).iter().count();
    match authorization(headers) {
        Err(_) => assert!(count > 1),
        Ok(None) => assert_eq!(count, 0),
        Ok(Some(text)) => {
            assert_eq!(count, 1);
            if let Some(token) = credential(&text, BEARER) {
                assert!(!token.reveal().is_empty() && text.ends_with(token.reveal()));
                assert!(
                    !format!("{token:?}").contains(token.reveal()) || "Plain(…)".contains(token.reveal())
                );
                let again = credential(&format!("bearer {}", token.reveal()), BEARER);
                assert_eq!(again.unwrap().reveal(), token.reveal());
            }
        }
    }
}

fn form(text: &str) {
    let Ok(form) = Form::parse(text) else { return };
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, _) in text.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))) {
        let name = decode(name).expect("it was read once");
        if pairs.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let values: Vec<&str> = form.many(&name).collect();
        assert!(name == "resource" || values.len() <= 1, "{name} is repeated");
        assert_eq!(form.one(&name), values.first().copied());
        pairs.extend(values.into_iter().map(|value| (name.clone(), value.to_owned())));
    }
    let written = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
    let again = Form::parse(&written).expect("it was read once");
    for (name, _) in &pairs {
        assert!(form.many(name).eq(again.many(name)), "{name} of {text:?}");
    }
    // The standard's own reader has the same of it.
    for (name, value) in form_urlencoded::parse(text.as_bytes()).filter(|(_, value)| !value.is_empty()) {
        assert!(form.many(&name).any(|known| known == value), "{name} of {text:?}");
    }
}

fuzz_target!(|data: &[u8]| {
    let middle = data.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = middle.map_or((data, &[][..]), |at| (&data[..at], &data[at + 2..]));
    let headers = headers(head);
    addresses(&headers);
    credentials(&headers);
    if let Ok(text) = std::str::from_utf8(body) {
        form(text);
    }
});
