"""certificates.py: certificates for tests, made by the command openssl when they are needed."""
import os
import subprocess


def openssl(*arguments, cwd=None, stdin=None):
    done = subprocess.run(["openssl", *arguments], cwd=cwd, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"openssl {' '.join(arguments)}: {done.stderr}")
    return done.stdout


class Authority:
    """A certificate authority in a directory."""

    def __init__(self, directory, name="authority"):
        self.directory, self.name = directory, name
        self.certificate = os.path.join(directory, name + ".crt")
        self.key = os.path.join(directory, name + ".key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                # Python 3.13 takes no authority that does not say so, as RFC 5280 has it
                "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                "-subj", f"/CN={name} of the tests", "-keyout", self.key, "-out", self.certificate)

    def issue(self, file, subject, server=False, key_type="ec",
              names="DNS:localhost,IP:127.0.0.1", days=30):
        """Makes FILE.crt and FILE.key for a subject such as "/CN=press"; returns both paths.

        A server's is for the names; negative days make one that has expired.
        """
        base = os.path.join(self.directory, file)
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if key_type == "ec" else ["-newkey", "rsa:2048"]
        openssl("req", "-new", *kind, "-nodes", "-utf8", "-subj", subject, "-keyout", base + ".key", "-out", base + ".csr")
        with open(base + ".ext", "w", encoding="ascii") as extensions:
            extensions.write(f"subjectAltName={names}\n" if server else "extendedKeyUsage=clientAuth\n")
            extensions.write("subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        openssl("x509", "-req", "-in", base + ".csr", "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                "-days", str(days), "-extfile", base + ".ext", "-out", base + ".crt")
        return base + ".crt", base + ".key"
