;; gptel, the client of Emacs, in batch mode against a hearth server (HEARTH_URL): a question, whole and as a stream.
(require 'package)
(package-initialize)
(require 'gptel)
(require 'gptel-ollama)
(require 'gptel-openai)

(defun ask (backend stream)
  "The answer of BACKEND; with STREAM in parts."
  (let ((gptel-backend backend) (gptel-model 'ember) (text "") (done nil))
    (gptel-request "How do I see which models are loaded?"
      :stream stream
      :callback (lambda (response _info)
                  (cond ((stringp response)
                         (setq text (concat text response))
                         (unless stream (setq done t)))
                        (t (setq done t)))))
    (with-timeout (20 (error "No answer from %s" (gptel-backend-name backend)))
      (while (not done) (accept-process-output nil 0.05)))
    text))

(let* ((host (replace-regexp-in-string "^http://" "" (getenv "HEARTH_URL")))
       (backends (list (gptel-make-ollama "hearth" :host host :stream t :models '(ember))
                       (gptel-make-openai "hearth-v1" :host host :protocol "http" :stream t :key "unused"
                                          :models '(ember)))))
  (dolist (backend backends)
    (dolist (stream '(nil t))
      (let ((text (ask backend stream)))
        (message "%s %s: %s" (gptel-backend-name backend) (if stream "stream" "whole") text)
        (unless (string-match-p "hearth ps" text) (kill-emacs 1))))))
