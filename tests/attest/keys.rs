//! Files that hold no key which can be used.

use super::Bench;

fn wrong_keys(bench: &Bench) {
    let secret = ["-passout", "pass:x"];
    let genpkey = |algorithm: &str, option: &str, out: &str, more: &[&str]| {
        let mut args = vec!["genpkey", "-algorithm", algorithm, "-out", out];
        if !option.is_empty() {
            args.extend(["-pkeyopt", option]);
        }
        args.extend(more);
        bench.openssl(&args);
    };
    let encrypted = [&["-aes-256-cbc"][..], &["-pass", secret[1]]].concat();
    genpkey("ed25519", "", "encrypted.pem", &encrypted);
    genpkey("RSA", "rsa_keygen_bits:2048", "rsa.pem", &[]);
    genpkey("EC", "ec_paramgen_curve:P-384", "p384.pem", &[]);
    genpkey("EC", "ec_paramgen_curve:secp256k1", "k1.pem", &[]);
    genpkey("X25519", "", "x25519.pem", &[]);
    bench.openssl(&["ec", "-in", "p256.pem", "-out", "sec1.pem"]);
    bench.openssl(&["rsa", "-traditional", "-in", "rsa.pem", "-out", "pkcs1.pem"]);
    bench.openssl(&[
        "pkcs8", "-in", "p256.pem", "-topk8", "-nocrypt", "-outform", "DER", "-out", "der.pem",
    ]);
    for key in ["rsa", "p384", "k1", "x25519"] {
        let (private, public) = (format!("{key}.pem"), format!("{key}.pub.pem"));
        bench.openssl(&["pkey", "-in", &private, "-pubout", "-out", &public]);
    }
    let subject = ["-subj", "/CN=x", "-days", "1"];
    let request = [
        "req", "-x509", "-new", "-key", "p256.pem", "-out", "cert.pem",
    ];
    bench.openssl(&[&request[..], &subject].concat());
    let one = bench.read("ed25519.pem");
    bench.write("two.pem", [one.clone(), bench.read("p256.pem")].concat());
    bench.write(
        "two.pub.pem",
        [bench.read("ed25519.pub.pem"), bench.read("p256.pub.pem")].concat(),
    );
    let cut = String::from_utf8(one).expect("PEM");
    let lines: Vec<&str> = cut.lines().collect();
    bench.write(
        "cut.pem",
        format!("{}\n{}\n{}\n", lines[0], &lines[1][..40], lines[2]),
    );
    bench.write("open.pem", format!("{}\n{}\n", lines[0], lines[1]));
    bench.write("empty.pem", "");
    bench.write("garbage.pem", [0xff_u8; 300]);
    bench.write("huge.pem", vec![b'\n'; 1 << 20]);
    let public = bench.read("p256.pub.pem");
    let public = String::from_utf8(public).expect("PEM");
    bench.write("cut.pub.pem", public.replacen('A', "", 4));
}

#[test]
fn a_file_without_a_usable_key_is_told_before_probing() {
    let bench = Bench::new();
    wrong_keys(&bench);
    let secret = String::from_utf8(bench.read("ed25519.pem")).expect("PEM");
    let secret = secret.lines().nth(1).expect("a line of the key");
    for (file, says) in [
        ("none.pem", "No such file"),
        (".", "not a regular file"),
        ("huge.pem", "larger than"),
        ("empty.pem", "holds no PEM"),
        ("garbage.pem", "holds no PEM"),
        ("der.pem", "holds no PEM"),
        ("encrypted.pem", "is encrypted"),
        ("sec1.pem", "not in PKCS#8"),
        ("pkcs1.pem", "not in PKCS#8"),
        ("rsa.pem", "another algorithm (RSA)"),
        ("p384.pem", "another algorithm (ECDSA P-384)"),
        ("k1.pem", "another algorithm (ECDSA"),
        ("x25519.pem", "another algorithm (1.3.101.110)"),
        ("p256.pub.pem", "is a public key"),
        ("cert.pem", "is a certificate"),
        ("two.pem", "more than one"),
        ("cut.pem", "damaged"),
        ("open.pem", "damaged"),
    ] {
        let args = [
            "--once",
            "--output",
            "intoto=signed.json",
            "--sign-key",
            file,
        ];
        let output = bench.probe(&args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{file}: {text}");
        assert!(text.contains(says) && text.contains(file), "{file}: {text}");
        assert!(!text.contains(&secret[20..40]), "{text}");
        assert!(output.stdout.is_empty(), "{file}: it was probed");
        assert!(!bench.dir().join("signed.json").exists(), "{file}");
    }
}

#[test]
fn a_verifier_needs_a_public_key() {
    let bench = Bench::new();
    wrong_keys(&bench);
    assert_eq!(bench.sign("ed25519", &[]), 0);
    for (file, says) in [
        ("none.pem", "No such file"),
        ("huge.pem", "larger than"),
        ("garbage.pem", "holds no PEM"),
        ("ed25519.pem", "is a private key"),
        ("sec1.pem", "is a private key"),
        ("encrypted.pem", "is a private key"),
        ("cert.pem", "is a certificate"),
        ("rsa.pub.pem", "another algorithm (RSA)"),
        ("p384.pub.pem", "another algorithm (ECDSA P-384)"),
        ("two.pub.pem", "more than one"),
        ("cut.pub.pem", "damaged"),
    ] {
        let output = bench.probe(&["verify", "signed.json", "--key", file]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{file}: {text}");
        assert!(text.contains(says) && text.contains(file), "{file}: {text}");
        assert!(output.stdout.is_empty(), "{file}");
    }
}
