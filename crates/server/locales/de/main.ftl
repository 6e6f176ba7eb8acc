# Was Menschen lesen. Kurze Sätze, einfache Wörter, kein Fachjargon.

brand = Countersign
skip-to-content = Zum Inhalt springen
nav-account = Ihre Geräte
nav-code = Code eingeben
sign-out = Abmelden
signed-in-as = Angemeldet als { $name }

language-label = Sprache
language-button = Ändern

device-title = Gerät verbinden
device-lead = Geben Sie den Code ein, den Ihr Gerät oder Ihre Befehlszeile anzeigt.
device-label = Code
device-help = Groß- und Kleinschreibung, Leerzeichen und Bindestriche spielen keine Rolle.
device-continue = Weiter
device-prefilled = Dieser Code wurde für Sie eingetragen. Fahren Sie nur fort, wenn derselbe Code auf einem Gerät steht, das Sie vor sich haben.
device-type-it = Bei diesem Gerät funktionieren Links nicht. Geben Sie den Code ein, der auf dem Bildschirm des Geräts steht.
device-wrong = Dieser Code ist falsch oder abgelaufen. Sehen Sie auf dem Bildschirm Ihres Geräts nach, oder beginnen Sie dort noch einmal von vorn.

login-title = Anmelden
login-lead = Melden Sie sich an, um ein Gerät zu verbinden.
login-again = Bitte melden Sie sich noch einmal an, um fortzufahren. Für diesen Schritt ist eine neue Anmeldung nötig.
login-username = Benutzername
login-password = Passwort
login-submit = Anmelden
login-wrong = Der Benutzername oder das Passwort ist falsch.
login-signed-out = Sie sind abgemeldet.

upstream-button = Mit { $provider } anmelden
upstream-cancelled = Sie wurden dort nicht angemeldet. Versuchen Sie es noch einmal, oder wählen Sie einen anderen Weg.
upstream-wrong = Die Antwort von dort war nicht verwendbar. Versuchen Sie es noch einmal.
upstream-not-allowed = Ihr Konto dort darf hier nicht verwendet werden. Wenden Sie sich an den Betreiber dieses Dienstes.
upstream-too-weak = Ihre Anmeldung dort reicht hier nicht aus. Melden Sie sich dort mit einem zweiten Faktor an, und versuchen Sie es dann noch einmal.
upstream-not-fresh = Sie wurden dort nicht gefragt, wer Sie sind. Melden Sie sich dort ab, und versuchen Sie es dann noch einmal.
upstream-unreachable = Dieser Anbieter ist im Moment nicht erreichbar. Versuchen Sie es gleich noch einmal, oder wählen Sie einen anderen Weg.
upstream-not-linked = Das konnte nicht hinzugefügt werden: Es gehört schon zu einem Konto, oder Ihre Anmeldung hier oder dort liegt zu lange zurück.

second-title = Noch ein Schritt
second-text = Ihr Passwort stimmt. Jetzt fehlt noch der Code, den Ihre Authenticator-App anzeigt.
second-text-passkey = Ihr Passwort stimmt. Jetzt fehlt noch Ihr Passkey oder ein Code.
second-label = Code
second-recovery = Wenn Sie Ihr Smartphone nicht haben, können Sie einen Ihrer Wiederherstellungscodes eingeben.
second-submit = Anmelden
second-wrong = Dieser Code ist falsch oder wurde schon verwendet. Warten Sie auf den nächsten, oder versuchen Sie es mit einem Wiederherstellungscode.

totp-title = Authenticator-App einrichten
totp-demanded = Ihr Konto braucht einen zweiten Faktor, bevor es weitergehen kann.
totp-text = Scannen Sie diesen QR-Code mit einer Authenticator-App auf Ihrem Smartphone. Von da an melden Sie sich mit Ihrem Passwort und dem Code an, den die App anzeigt.
totp-qr = QR-Code für Ihre Authenticator-App
totp-here = In einer App auf diesem Gerät öffnen
totp-typed = Oder geben Sie in der App Folgendes ein:
totp-label = Code, den die App anzeigt
totp-submit = Aktivieren
totp-wrong = Dieser Code ist falsch. Geht die Uhr Ihres Smartphones richtig? Versuchen Sie es mit dem nächsten Code.

passkey-title = Passkey hinzufügen
passkey-text = Der Passkey wird auf Ihrem Smartphone, Computer oder Sicherheitsschlüssel gespeichert. Sie geben ihn so frei, wie Sie dieses Gerät auch sonst entsperren. Damit melden Sie sich ohne Ihr Passwort an.
passkey-name = Name des Passkeys
passkey-name-default = Passkey
passkey-submit = Passkey hinzufügen
passkey-failed = Ihr Browser hat keinen Passkey erstellt. Wurde der Vorgang abgebrochen, oder gibt es schon einen?
passkey-wrong = Die Antwort Ihres Browsers war nicht verwendbar. Versuchen Sie es noch einmal.
passkey-script = Passkeys brauchen JavaScript, und das ist hier ausgeschaltet.
passkey-login-title = Mit Passkey anmelden
passkey-login-text = Ihr Browser fragt nach dem Passkey, den Sie zu Ihrem Konto hinzugefügt haben.
passkey-login-submit = Passkey verwenden
passkey-login-failed = Ihr Browser hat nicht geantwortet. Wurde der Vorgang abgebrochen, oder gibt es auf diesem Gerät keinen Passkey?
passkey-login-wrong = Dieser Passkey ist falsch oder wurde entfernt. Melden Sie sich auf einem anderen Weg an.
passkey-login-link = Mit Passkey anmelden
passkey-login-password = Mit Passwort anmelden

recovery-title = Ihre Wiederherstellungscodes
recovery-text = Sollten Sie einmal verlieren, womit Sie sich anmelden, geben Sie nach Ihrem Passwort einen dieser Codes ein. Jeder gilt nur einmal. Drucken Sie die Codes aus, oder bewahren Sie sie dort auf, wo Sie auch Ihre Passwörter aufbewahren.
recovery-once = Die Codes werden nur dieses eine Mal angezeigt. Ältere Codes gelten nicht mehr.
recovery-go-on = Ich habe sie gesichert

confirm-title = Dieses Gerät verbinden?
confirm-lead = { $client } möchte Ihr Konto { $name } verwenden.
confirm-pair-lead = „{ $device }“ möchte mit Ihrem Konto { $name } gekoppelt werden.
confirm-pair-device = Gerät
confirm-pair-version = Version
confirm-pair-id = Geräte-ID
confirm-pair-replaces = Dieses Gerät ersetzt Ihr Gerät „{ $device }“ (gekoppelt am { $day }). Das bisherige Gerät wird dann getrennt.
foreign-title = Dieses Gerät können Sie nicht koppeln
foreign-text = Dieses Gerät gehört zu einem anderen Konto. Dort muss es zuerst entfernt werden. Es wurde nichts geändert.
scope-operator-read = empfangen, was Sie an dieses Gerät senden, und sehen, was Sie dort sehen dürfen
confirm-key-lead = { $client } möchte einen API-Schlüssel für Ihr Konto { $name }.
confirm-key-lead-nobody = Eine Befehlszeile möchte einen API-Schlüssel für Ihr Konto { $name }.
confirm-key-name = Name des Schlüssels
confirm-key-lifetime = Gültig
confirm-key-seconds = { $n ->
    [one] { $n } Sekunde, sofern Sie ihn nicht vorher widerrufen
   *[other] { $n } Sekunden, sofern Sie ihn nicht vorher widerrufen
}
confirm-key-minutes = { $n ->
    [one] { $n } Minute, sofern Sie ihn nicht vorher widerrufen
   *[other] { $n } Minuten, sofern Sie ihn nicht vorher widerrufen
}
confirm-key-hours = { $n ->
    [one] { $n } Stunde, sofern Sie ihn nicht vorher widerrufen
   *[other] { $n } Stunden, sofern Sie ihn nicht vorher widerrufen
}
confirm-key-days = { $n ->
    [one] { $n } Tag, sofern Sie ihn nicht vorher widerrufen
   *[other] { $n } Tage, sofern Sie ihn nicht vorher widerrufen
}
key-scopes-none = in Ihrem Namen handeln, überall dort, wo API-Schlüssel dieses Dienstes akzeptiert werden
quoted = „{ $name }“
command-line = Die Befehlszeile
confirm-code-label = Code auf dem Gerät
confirm-code-help = Er muss genau übereinstimmen, Zeichen für Zeichen.
confirm-scopes = Wenn Sie genehmigen, darf das Gerät:
confirm-asked = Angefragt
confirm-from = Von
confirm-with = Programm
confirm-warning-link = Sie haben diesen Code nicht auf dieser Seite eingegeben. Wenn er über einen Link kam, den Ihnen jemand geschickt hat, lehnen Sie ab: So werden Menschen betrogen. Niemand vom Support wird Sie jemals bitten, ein Gerät zu genehmigen.
confirm-warning = Hat Ihnen jemand diesen Code oder diesen Link geschickt? Dann lehnen Sie ab. Niemand vom Support wird Sie jemals bitten, ein Gerät zu genehmigen.
confirm-hint = Das Gerät hat nach dem Konto { $hint } gefragt, aber Sie sind als { $name } angemeldet.
confirm-hint-other = Das Gerät hat nach einem anderen Konto gefragt, aber Sie sind als { $name } angemeldet.
confirm-elsewhere = Diese Anfrage kam aus einem anderen Netzwerk als Ihrem: von { $there }. Ihre Adresse ist { $here }. Wenn Sie das Gerät nicht vor sich haben, lehnen Sie ab.
confirm-elsewhere-country = Diese Anfrage kam aus einem anderen Land: { $there }. Sie sind hier: { $here }. Wenn Sie das Gerät nicht vor sich haben, lehnen Sie ab.
elsewhere-title = Anfrage von einem anderen Ort
elsewhere-text = Diese Anfrage kam von einem anderen Ort als Ihrem, und der Betreiber dieses Dienstes lässt das nicht zu. Es wurde nichts verbunden. Wenn Sie das Gerät vor sich haben, nutzen Sie für das Gerät und für diese Seite dasselbe Netzwerk.
confirm-own = Ich habe das selbst gestartet, auf einem Gerät, das ich vor mir habe
confirm-own-missing = Setzen Sie das Häkchen, wenn Sie das selbst gestartet haben. Wenn nicht, wählen Sie „Ablehnen“.
confirm-app-title = Dieses Programm verbinden?
confirm-returns = Die Antwort geht an
confirm-returns-help = Dorthin kommen Sie in diesem Browser zurück.
confirm-app-own = Ich habe das selbst begonnen, in diesem Browser
authorize-refused-title = Dieser Link funktioniert nicht
authorize-refused-client = Das Programm, das Sie hierher geschickt hat, ist nicht bekannt oder darf so nicht fragen. Nichts wurde verbunden.
authorize-refused-redirect = Das Programm möchte die Antwort an eine Adresse, die für es nicht eingetragen ist. Nichts wurde verbunden.
authorize-refused-expired = Diese Anfrage ist abgelaufen oder wurde schon beantwortet. Gehen Sie zum Programm zurück und beginnen Sie dort von vorn.
confirm-approve = Genehmigen
confirm-deny = Ablehnen

scope-openid = wissen, dass Sie es sind
scope-profile = Ihren Namen sehen
scope-email = Ihre E-Mail-Adresse sehen
scope-offline = verbunden bleiben, bis Sie die Verbindung trennen
scope-introspect = prüfen, ob andere Verbindungen noch gültig sind
scope-admin = diesen Server verwalten: alles sehen und ändern
scope-devices = in Ihrem Namen Geräte und API-Schlüssel verbinden und trennen
scope-other = „{ $scope }“ verwenden
scopes-none = nur wissen, dass Sie genehmigt haben

age-now = gerade eben
age-seconds = { $n ->
    [one] vor { $n } Sekunde
   *[other] vor { $n } Sekunden
}
age-minutes = { $n ->
    [one] vor { $n } Minute
   *[other] vor { $n } Minuten
}
age-hours = { $n ->
    [one] vor { $n } Stunde
   *[other] vor { $n } Stunden
}
unknown = unbekannt

approved-title = Gerät verbunden
approved-text = { $client } ist mit Ihrem Konto verbunden. Sie können am Gerät weitermachen.
pin-title = Noch ein Schritt am Gerät
pin-text = { $client } hat Ihre Genehmigung. Geben Sie jetzt diese PIN am Gerät ein: Erst dann ist es verbunden.
pin-label = PIN
pin-help = Zwei Ziffern, nur für dieses Gerät.
pin-warning = Geben Sie die PIN selbst ein. Wenn jemand Sie danach fragt, nennen Sie sie nicht, und machen Sie die Genehmigung rückgängig.
denied-title = Anfrage abgelehnt
denied-text = { $client } wurde nicht verbunden und hat nichts erhalten.
undo-question = Waren Sie das nicht, oder war es ein Versehen?
undo-button = Das war ich nicht: rückgängig machen
undone-title = Rückgängig gemacht
undone-text = Das wurde zurückgenommen: Alles, was daraus entstanden ist, ist getrennt und widerrufen. Hat Sie jemand dazu überredet? Dann sagen Sie es dem Betreiber dieses Dienstes.
undo-nothing-title = Nichts rückgängig zu machen
undo-nothing-text = Hier gibt es keine Genehmigung von Ihnen, die Sie rückgängig machen könnten.
late-title = Zu spät
late-text = Diese Anfrage ist abgelaufen, oder jemand hat schon darüber entschieden. Es wurde nichts geändert. Beginnen Sie am Gerät noch einmal von vorn.
lost-title = Code noch einmal eingeben
lost-text = Diese Seite wurde geöffnet, bevor Sie sich angemeldet haben. Bitte geben Sie den Code noch einmal ein.

revoke-title = Dieses Gerät trennen?
revoke-lead = „{ $device }“ ist mit dem Konto { $name } verbunden. Wenn Sie das nicht waren, trennen Sie das Gerät.
revoke-button = Gerät trennen
revoke-done-title = Getrennt
revoke-ended-title = Nichts zu trennen
revoke-ended-text = Dieser Link wurde schon verwendet, er ist abgelaufen, oder das Gerät ist nicht mehr verbunden. Ihre Geräte finden Sie in Ihrem Konto.

mail-subject = Neues Gerät: { $device }
mail-hello = Guten Tag { $name },
mail-connected = „{ $device }“ wurde mit Ihrem Konto verbunden.
mail-was-you = Wenn Sie das waren, müssen Sie nichts tun.
mail-was-not-you = Wenn nicht, öffnen Sie diesen Link und trennen Sie das Gerät:
mail-from = Diese Nachricht wurde von { $server } gesendet.

account-title = Ihre Geräte
account-lead = Alles, was Sie verbunden haben. Trennen Sie, was Sie nicht kennen oder nicht mehr verwenden.
account-none = Es ist noch nichts verbunden.
account-connect = Gerät verbinden
account-connected = Verbunden am
account-kind-key = API-Schlüssel
account-sign-in-title = So melden Sie sich an
account-totp-off = Mit einem Passkey oder einer Authenticator-App bleiben andere auch dann draußen, wenn sie Ihr Passwort herausfinden.
account-lately = { $client } wurde am { $when } mit Ihrem Konto verbunden, von { $address }.
undo-one = Das war ich nicht: { $client } trennen
account-sessions-title = Wo Sie angemeldet sind
account-session-own = dieser Browser
account-session-since = Angemeldet am
account-session-end = Dort abmelden
account-session-end-one = Den Browser abmelden, der seit { $when } angemeldet ist
account-session-end-all = Überall sonst abmelden
account-session-ended = Der andere Browser ist jetzt abgemeldet.
account-sessions-ended = Alle anderen Browser sind jetzt abgemeldet.
account-session-missing = Der andere Browser ist nicht mehr angemeldet.
account-password-title = Passwort ändern
account-password-new = Neues Passwort
account-password-help = Mindestens 8 Zeichen. Alle anderen Browser werden abgemeldet.
account-password-button = Ändern
account-password-changed = Ihr Passwort wurde geändert.
account-password-unfit = Ein Passwort muss mindestens 8 Zeichen haben und darf höchstens 1.024 Byte lang sein.
account-linked = Sie können sich mit { $provider } anmelden.
account-link = Auch mit { $provider } anmelden
account-unlink = Entfernen
account-unlink-one = Anmeldung mit { $provider } entfernen
account-unlinked = Diese Anmeldung wurde entfernt. Sie melden sich damit nicht mehr an.
account-unlink-last = Es wurde nichts geändert: Sonst könnten Sie sich gar nicht mehr anmelden.
account-totp-begin = Authenticator-App einrichten
account-totp-on = Seit { $when } ist eine Authenticator-App eingerichtet.
account-recovery-left = { $n ->
    [0] Es ist kein Wiederherstellungscode mehr übrig.
    [one] Es ist noch { $n } Wiederherstellungscode übrig.
   *[other] Es sind noch { $n } Wiederherstellungscodes übrig.
}
account-recovery-new = Neue Wiederherstellungscodes erstellen
account-totp-remove = App deaktivieren
account-totp-removed = Die Authenticator-App ist deaktiviert.
account-passkey-begin = Passkey hinzufügen
account-kind-passkey = Passkey
account-passkey-added = Hinzugefügt am
account-passkey-remove = Entfernen
account-passkey-remove-one = Passkey „{ $name }“ entfernen
account-passkey-removed = Der Passkey wurde entfernt. Sie können ihn auch noch auf Ihrem Gerät löschen.
account-rename = Umbenennen
account-renamed = Der neue Name ist gespeichert.
account-online = online
account-offline = gerade nicht verbunden
account-node = Gerät
account-endless = wenn Sie die Verbindung trennen
account-ends = Endet
account-leaked = { $name } wurde an einer Stelle gefunden, an die so etwas nicht gehört, und wurde am { $when } widerrufen. Falls eines Ihrer Programme damit gearbeitet hat, verbinden Sie dieses Programm neu.
account-cli-title = Befehlszeile verbinden
account-cli-text = Kann die Befehlszeile Ihnen keinen Code anzeigen? Dann lassen Sie sich hier einen anzeigen, und geben Sie ihn dort ein.
account-cli-button = Code anzeigen
account-never = noch nie
account-key-title = API-Schlüssel erstellen
account-key-text = Für ein Programm, das Sie von Hand einrichten. Es kann damit alles tun, was Sie tun können, überall dort, wo API-Schlüssel dieses Dienstes akzeptiert werden.
account-key-name = Name
account-key-name-wrong = Ein Name muss 1 bis 100 sichtbare Zeichen haben.
account-key-button = Schlüssel erstellen
key-title = Ihr neuer API-Schlüssel
key-lead = „{ $name }“ gilt bis { $when }. Der Schlüssel wird nur dieses eine Mal angezeigt: Kopieren Sie ihn jetzt.
key-warning = Wer diesen Schlüssel hat, kann in Ihrem Namen handeln. Niemand vom Support wird Sie jemals danach fragen.
connect-title = Befehlszeile verbinden
connect-lead = Geben Sie in Ihrer Befehlszeile Folgendes ein:
connect-code = Code
connect-left = Der Code kann einmal verwendet werden. Er läuft ab in
connect-warning = Wer diesen Code hat, bekommt einen API-Schlüssel für Ihr Konto. Tippen Sie ihn selbst ein, und geben Sie ihn niemandem.
connect-check = Nachsehen, ob er verwendet wurde
connect-withdraw = Code zurückziehen
connect-used-title = Befehlszeile verbunden
connect-used = Ihr Code wurde am { $when } verwendet, von { $address } (Programm: { $program }).
connect-used-ended = Ihr Code wurde verwendet. Der Schlüssel, der daraus entstand, gilt inzwischen nicht mehr.
connect-over-title = Dieser Code gilt nicht mehr
connect-over = Niemand kann ihn mehr verwenden.
account-used = Zuletzt verwendet
account-from = Von
account-may = Darf
account-revoke = Trennen
account-revoke-one = „{ $name }“ trennen, verbunden am { $when }
account-revoke-all = Alles trennen
account-revoke-all-text = Jedes Ihrer Geräte muss dann neu verbunden werden.
account-revoked = Das Gerät ist getrennt.
account-revoked-all = Alles ist getrennt.
account-revoke-missing = Dieses Gerät ist nicht mehr verbunden.
account-ended = Nicht mehr verbunden
status-active = verbunden
status-expired = abgelaufen
status-revoked = getrennt

logout-title = Abmelden?
logout-text = Ihre Geräte bleiben verbunden.

error-form-title = Das hat nicht geklappt
error-form-text = Das Formular konnte nicht gelesen werden: { $why }.
error-forged-title = Bitte versuchen Sie es noch einmal
error-forged-text = Diese Seite war zu lange geöffnet, Sie haben sich inzwischen auf einer anderen Seite angemeldet, oder Ihr Browser speichert keine Cookies. Gehen Sie zurück, laden Sie die Seite neu, und wiederholen Sie den letzten Schritt.
error-limited-title = Zu viele Versuche
error-limited-text = { $n ->
    [one] Bitte warten Sie { $n } Sekunde, und versuchen Sie es dann noch einmal.
   *[other] Bitte warten Sie { $n } Sekunden, und versuchen Sie es dann noch einmal.
}
error-limited-minutes = { $n ->
    [one] Bitte warten Sie { $n } Minute, und versuchen Sie es dann noch einmal.
   *[other] Bitte warten Sie { $n } Minuten, und versuchen Sie es dann noch einmal.
}
error-busy-title = Gerade sehr viel los
error-busy-text = Im Moment melden sich zu viele Menschen an. Bitte versuchen Sie es gleich noch einmal.
error-away-title = Einen Moment
error-away-text = Dieser Dienst kann gerade nicht auf seine Daten zugreifen. Bitte versuchen Sie es gleich noch einmal.
error-missing-title = Seite nicht gefunden
error-missing-text = Hier gibt es nichts. Wenn Ihr Gerät einen Code anzeigt, wählen Sie „Code eingeben“.
error-fault-title = Etwas ist schiefgegangen
error-fault-text = Das ist unser Fehler, nicht Ihrer. Bitte versuchen Sie es noch einmal. Wenn das Problem bleibt, nennen Sie dem Betreiber dieses Dienstes diese Nummer: { $id }
